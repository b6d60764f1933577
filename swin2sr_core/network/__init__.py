"""The Swin2SR network itself, and its hyper-parameters."""
