"""From a source of transactions to the table of orders, with nothing lost on the way."""
