"""stage1: makes the container of one pod."""
