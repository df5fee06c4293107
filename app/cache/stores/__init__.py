"""Where the response cache stores its entries."""
