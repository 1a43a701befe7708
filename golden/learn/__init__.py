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
--rate                rate               learning rate (eq. 15, plain sum over positions)
--decay               decay              last learning rate / first; falls over the second half of the run
--crop-size           crop_size          side of a crop, pixels
--scales              scales             comma-separated block sides, "1,2"
--preprocess          preprocess         centre-surround or none
--threshold           threshold          lambda
--eta                 eta                dt/tau
--steps               steps              updates per picture
--residual-cutoff     residual_cutoff    theta
--warm                warm               keep the membrane from picture to picture
--seed                seed               of the starting kernels and the crops
--force               force of `learn`   overwrite DICT.npz, drop a checkpoint of other settings
====================  =================  ====================================================================

``engine`` has no option: the command line learns with the fast engine of `lca.encode`.

A run in which more than half of the pictures diverged ends as diverged and writes no dictionary.

``progress`` is called with a `Progress` after every picture; Ctrl-C may strike at any time, the same call continues.
"""

from .hebbian import hebbian_update, kernel_change
from .pictures import TrainingCrops
from .training import (
    SETTLED_CHANGE,
    SETTLED_PICTURES,
    LearnOutcome,
    LearnParams,
    LearnResult,
    Progress,
    checkpoint_path,
    learn,
)

__all__ = ["SETTLED_CHANGE", "SETTLED_PICTURES", "LearnOutcome", "LearnParams", "LearnResult", "Progress",
           "TrainingCrops", "checkpoint_path", "hebbian_update", "kernel_change", "learn"]
