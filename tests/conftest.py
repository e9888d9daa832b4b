"""What holds for all tests."""

import threading

from tqdm import tqdm

# tqdm's own lock is shared with forked children: one that a test kills while it holds the lock
# would leave every later progress bar of this process waiting for ever.
tqdm.set_lock(threading.RLock())
