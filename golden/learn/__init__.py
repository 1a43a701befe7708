"""Learning a dictionary from pictures.

::

    from striate.golden.learn import LearnParams, learn

    result = learn(LearnParams(kernels=8, patch=16, stride=2), ["a.png", "b.jpg"], "DICT.npz", progress=show)

The command line's ``striate learn PICTURES... --out DICT.npz`` maps its options onto `LearnParams` one to one:

====================  =================  ====================================================================
option                field              meaning
====================  =================  ====================================================================
-k, --kernels         kernels            K
-p, --patch           patch              p, pixels
-s, --stride          stride             s, pixels
--channels            channels           1 gray, 3 colour
--pictures            pictures           crops to show
--rule                rule               hebbian, projected, block-coordinate or online
--batch               batch              crops coded before an update
--rate                rate               learning rate of hebbian and projected (eq. 15, plain sum over positions)
--decay               decay              last learning rate / first
--schedule            schedule           how it falls: half, inverse or constant
--momentum            momentum           of hebbian
--forgetting          forgetting         beta of online
--sweeps              sweeps             steps of projected, passes of block-coordinate and online, an update
--crop-size           crop_size          side of a crop, pixels
--scales              scales             comma-separated block sides, "1,2"
--preprocess          preprocess         centre-surround, zca, contrast or none
--threshold           threshold          lambda
--transfer            transfer           hard or soft
--two-sided           two_sided          codes may be negative
--border              border             what lies beyond a crop
--eta                 eta                dt/tau
--steps               steps              updates per picture
--residual-cutoff     residual_cutoff    theta
--warm                warm               keep the membrane from picture to picture
--start               start              dictionary to begin from
--support             support            kernels are 0 beyond so many rows and columns
--reseed-after        reseed_after       silent pictures after which a kernel is drawn anew
--engine, --device    engine, device     of `batch.encode_batch`
--seed                seed               of the starting kernels and the crops
--workers             `learn`'s workers  processes that code a batch
--scheduler           its scheduler      address of a Dask scheduler whose workers code
--force               its force          overwrite DICT.npz, drop a checkpoint of other settings
====================  =================  ====================================================================

A run in which more than half of the pictures diverged ends as diverged and writes no dictionary.

``progress`` is called with a `Progress` after every batch; Ctrl-C may strike at any time, the same call continues.

`params` are the settings, `rules` the contract of the learning rules (`hebbian`, `projected`, `blocks`), `state` what
a checkpoint holds, `coding` who codes the crops.
"""

from .coding import WorkersLost
from .hebbian import hebbian_update, kernel_change
from .params import LearnParams, RateSchedule, RuleName, named_dictionary
from .pictures import TrainingCrops
from .state import checkpoint_path
from .training import SETTLED_CHANGE, SETTLED_PICTURES, LearnOutcome, LearnResult, Progress, learn

__all__ = ["SETTLED_CHANGE", "SETTLED_PICTURES", "LearnOutcome", "LearnParams", "LearnResult", "Progress",
           "RateSchedule", "RuleName", "TrainingCrops", "WorkersLost", "checkpoint_path", "hebbian_update",
           "kernel_change", "learn", "named_dictionary"]
