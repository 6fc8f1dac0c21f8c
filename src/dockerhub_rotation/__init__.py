"""The AWS Secrets Manager rotation function for Docker Hub tokens."""

__version__ = "0.1.0"
