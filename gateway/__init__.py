"""What stands before TorchServe: the gateway (REST), and in the container nginx before that and before the page."""
