"""stage0: the rkt and actool commands: images, stores, and pods up to the hand-over."""
