"""The image file: compression, archive, unpacking, rendering."""
