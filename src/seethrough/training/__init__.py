"""What every training loop here shares: seeds, measurements by epoch, checkpoints, memory."""
