"""Methods: how images become a loss, and how images become predictions. One paper, one file; they know no data set.

A new method is a file with its settings and `build` (of parts and settings), and a line here.
"""

from skinjax.core.settings import Kind
from skinjax.methods import classifier, decoder_classifier, patches, restoration, rotation, synergic, two_stage
from skinjax.methods.base import MethodSettings

METHODS = {
    "classifier": Kind(MethodSettings, classifier.build),
    "decoder_classifier": Kind(decoder_classifier.DecoderClassifierSettings, decoder_classifier.build),
    "two_stage": Kind(two_stage.TwoStageSettings, two_stage.build),
    "rotation": Kind(rotation.RotationSettings, rotation.build),
    "restoration": Kind(restoration.RestorationSettings, restoration.build),
    "synergic": Kind(synergic.SynergicSettings, synergic.build),
    "patches": Kind(patches.PatchesSettings, patches.build),
}
