"""What a training run consists of: loop, losses, schedules, pruning, checkpoints."""
