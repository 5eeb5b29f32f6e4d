"""The container's front: nginx before TorchServe and the page, and the process that starts and stops all three."""
