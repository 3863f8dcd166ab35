"""stage2: runs inside the pod and starts its apps; standard library only."""
