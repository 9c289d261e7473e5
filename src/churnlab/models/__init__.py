"""Purchase, spend and churn models, and the scorer that packages them."""
