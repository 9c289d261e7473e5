"""How good the forecasts are, beside naive ones, on moments that were not learnt from."""
