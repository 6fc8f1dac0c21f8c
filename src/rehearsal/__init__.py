"""The whole world on one machine: Docker Hub, native rotation and a consumer, without any account."""
