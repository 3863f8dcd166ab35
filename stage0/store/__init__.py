"""The image store: blobs, their index, and rendered trees."""
