"""The field's terms in two plain sentences each: the Glossary page lists them, help texts on the pages repeat them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """What a term means, and where it was defined or is explained best."""

    meaning: str
    source: str = ""


GLOSSARY: dict[str, Term] = {
    # figures
    "Accuracy": Term(
        "The share of images whose predicted expression equals the label. It weighs every image equally, so frequent "
        "expressions dominate it."
    ),
    "Balanced accuracy": Term(
        "The mean of the recalls of all expressions. Every expression counts equally, however rare it is.",
        "Brodersen et al. 2010, doi 10.1109/ICPR.2010.764",
    ),
    "Precision": Term(
        "Of the images predicted as an expression, the share that has this label. It falls when a network predicts the "
        "expression too often."
    ),
    "Recall": Term(
        "Of the images labelled with an expression, the share predicted as this expression. It falls when a network misses "
        "the expression."
    ),
    "F1": Term("The harmonic mean of precision and recall. It is high only if both are high.", "van Rijsbergen 1979"),
    "Macro-F1": Term(
        "The unweighted mean of the F1 scores of all expressions. A network that ignores a rare expression loses as much as "
        "one that ignores a frequent one.",
        "Opitz and Burst 2019, arXiv 1911.03347",
    ),
    "Top-2 accuracy": Term(
        "The share of images whose label is among the two most probable expressions. It shows how often the right answer was "
        "the second guess."
    ),
    "AUROC": Term(
        "The area under the curve of true positive rate against false positive rate: the probability that an image of the "
        "expression gets a higher score than another image. 50 % is chance, 100 % is perfect.",
        "Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747",
    ),
    "Average precision": Term(
        "The area under the precision-recall curve of one expression against all others. Chance level is the share of the "
        "expression's images, so values are comparable only between networks on the same data.",
        "scikit-learn, sklearn.metrics.average_precision_score",
    ),
    "Log loss": Term(
        "The mean of the negative logarithm of the probability given to the label, in nats. It punishes confident errors "
        "most.",
    ),
    "Loss": Term(
        "The number that training minimises; here the cross entropy between the label and the predicted probabilities, in "
        "nats. For one image it is the negative logarithm of the label's probability.",
    ),
    "Confusion matrix": Term(
        "A table of labels (rows) against predictions (columns) that counts images. The diagonal holds the correct "
        "predictions; every other cell is one kind of confusion."
    ),
    # chance
    "Confidence interval": Term(
        "The range of values that are compatible with the data: an interval built this way contains the true value in 95 of "
        "100 repetitions. For shares it is Wilson's interval, for other figures mostly the delta method.",
        "Wilson 1927, doi 10.1080/01621459.1927.10502953; Agresti 2013, section 16.1",
    ),
    "McNemar's test": Term(
        "A test for two networks on the same images. It looks only at the images that exactly one of them gets right.",
        "McNemar 1947, doi 10.1007/BF02295996",
    ),
    "Holm's correction": Term(
        "An adjustment of p-values when several tests are made at once. It keeps the probability of any false alarm below "
        "5 %.",
        "Holm 1979, Scandinavian Journal of Statistics 6",
    ),
    "Statistically significant": Term(
        "A difference that chance alone would produce in less than 5 % of experiments. A difference that is not significant "
        "may still be real, but these data do not show it."
    ),
    "Error consistency": Term(
        "Whether two networks, or people and a network, are wrong on the same images: Cohen's kappa of right and wrong. It is 0 "
        "where errors coincide as often as by chance, 1 where they always do, and negative where they avoid each other.",
        "Geirhos, Meding and Wichmann 2020, arXiv 2006.16736",
    ),
    "Cohen's kappa": Term(
        "Agreement of two networks beyond what chance would produce. 0 is chance, 1 is perfect agreement.",
        "Cohen 1960, doi 10.1177/001316446002000104",
    ),
    "Cochran-Mantel-Haenszel test": Term(
        "A test whether being in a slice changes accuracy when images are compared only with images of the same label. It "
        "separates a hard slice from one that merely holds more of the hard expressions.",
        "Mantel and Haenszel 1959, doi 10.1093/jnci/22.4.719",
    ),
    # confidence
    "Confidence": Term(
        "The probability that a network gives to the expression it predicts. It is the network's own claim; accuracy is "
        "what is measured."
    ),
    "Calibration": Term(
        "A network is calibrated if its confidence equals its accuracy: of the images with a confidence of 80 %, 80 % are "
        "right. An overconfident network claims more than that, an underconfident one less.",
        "Guo et al. 2017, arXiv 1706.04599",
    ),
    "ECE": Term(
        "Expected calibration error: the mean distance between confidence and accuracy over 15 bins of confidence, in "
        "points. 0 is perfectly calibrated.",
        "Naeini, Cooper and Hauskrecht 2015, AAAI",
    ),
    "Brier score": Term(
        "The mean squared distance between the predicted probabilities and the label. Lower is better; it measures "
        "calibration and accuracy together.",
        "Brier 1950, Monthly Weather Review 78",
    ),
    "Temperature": Term(
        "One number by which all logits are divided before the softmax, fitted on the validation set. It changes the "
        "confidence, never the predicted expression.",
        "Guo et al. 2017, arXiv 1706.04599",
    ),
    "Risk-coverage curve": Term(
        "The accuracy of the answers against the share of images that are answered at all. It falls as more uncertain images "
        "are included.",
        "Geifman and El-Yaniv 2017, arXiv 1705.08500",
    ),
    "Logit": Term(
        "The raw output of a network for one expression, before the softmax turns all of them into probabilities. Only "
        "differences between logits have a meaning."
    ),
    "Margin": Term(
        "The probability of the label minus the highest probability of another expression. Negative margins are errors; "
        "small ones are close decisions."
    ),
    # explanation
    "Attribution map": Term(
        "A map that says how much each pixel contributes to the score of one expression. Methods differ, and a plausible map "
        "is not yet a faithful one.",
        "Sundararajan, Taly and Yan 2017, arXiv 1703.01365",
    ),
    "Grad-CAM": Term(
        "A coarse map from the last convolutional layer: its channels are weighted by their mean gradient and added. It "
        "shows where evidence lies, at the resolution of that layer.",
        "Selvaraju et al. 2017, arXiv 1610.02391",
    ),
    "Saliency": Term(
        "The absolute gradient of an expression's score with respect to each pixel. It shows where a small change of the "
        "image would change the score.",
        "Simonyan, Vedaldi and Zisserman 2014, arXiv 1312.6034",
    ),
    "Integrated gradients": Term(
        "Gradients added up along the way from a baseline image to the image. The contributions of all pixels sum to the "
        "difference of the two scores.",
        "Sundararajan, Taly and Yan 2017, arXiv 1703.01365",
    ),
    "Deletion and insertion": Term(
        "Two tests of a map. In deletion the pixels it ranks highest are removed first and the probability should fall fast; "
        "in insertion they are added first and it should rise fast.",
        "Petsiuk, Das and Saenko 2018, arXiv 1806.07421",
    ),
    "Infidelity": Term(
        "How badly a map predicts the change of the score when pixels are perturbed. 0 is a perfect prediction, 1 is no "
        "better than predicting no change; lower is better.",
        "Yeh et al. 2019, arXiv 1901.09392",
    ),
    "Max-sensitivity": Term(
        "The largest relative change of a map under noise that nobody can see. Lower is better.",
        "Yeh et al. 2019, arXiv 1901.09392",
    ),
    "Randomisation test": Term(
        "The rank correlation between the map of the trained network and the map of a copy with shuffled weights. A high value "
        "means that the map shows the image rather than the network.",
        "Adebayo et al. 2018, arXiv 1810.03292",
    ),
    "Region ablation": Term(
        "Covering one region of the face and measuring how much accuracy falls. It tests directly whether the network needs "
        "this region.",
        "Zeiler and Fergus 2014, arXiv 1311.2901",
    ),
    # images and features
    "Feature": Term(
        "One of the numbers that a network computes from an image before its last layer. Images with similar features look "
        "similar to the network."
    ),
    "t-SNE": Term(
        "A map of many-dimensional points in two dimensions that keeps neighbours together. Distances between groups, and "
        "the groups' sizes, mean little.",
        "van der Maaten and Hinton 2008, JMLR 9",
    ),
    "Principal components": Term(
        "The directions in which the features vary most. Unlike t-SNE this is a straight projection, so distances keep a "
        "meaning.",
        "Jolliffe 2002, Principal Component Analysis",
    ),
    "Cosine similarity": Term(
        "The cosine of the angle between two images' features. 1 means the same direction, 0 means unrelated."
    ),
    "Corruption and severity": Term(
        "A corruption damages an image in one way, such as blur or noise; its severity runs from 1 (slight) to 5 (strong). "
        "The clean image has severity 0.",
        "Hendrycks and Dietterich 2019, arXiv 1903.12261",
    ),
    "Slice": Term(
        "A part of a data set with something in common, such as dark images. A network can be good overall and poor on a "
        "slice.",
        "Chung et al. 2019, arXiv 1807.06068",
    ),
    "Confident learning": Term(
        "A way to find wrong labels: a label is suspect if a network that has not learned the image is more confident of "
        "another expression than it usually is on that expression's own images.",
        "Northcutt, Jiang and Chuang 2021, JAIR 70",
    ),
    "Cross-validation": Term(
        "The data are split into parts, and each part is predicted by a network trained on the others. Every image gets a "
        "prediction from a network that has not learned it."
    ),
    "Data leak": Term(
        "An image of the validation or test set that also occurs in the training set. Figures on it are too good, because the "
        "network has seen the answer."
    ),
    # training
    "Training, validation and test set": Term(
        "A network learns from the training set, the validation set chooses the best epoch and the settings, and the test "
        "set measures the result once. Figures on a set that chose something are slightly too good."
    ),
    "Overfitting": Term(
        "A network overfits if it becomes better on its training set but not on new images. The validation loss then rises "
        "while the training loss falls."
    ),
    "Underfitting": Term(
        "A network underfits if it is poor even on its training set. A larger network, a higher learning rate or less "
        "regularisation may help."
    ),
    "Epoch": Term("One pass through all training images. A run lasts a fixed number of epochs."),
    "Seed": Term(
        "The number that starts the random generator. Runs that differ only in their seed show how much of a result is "
        "chance."
    ),
    "Learning rate": Term(
        "How far the weights move in each step. Too high and the loss diverges; too low and training takes too long."
    ),
    "Schedule": Term(
        "How the learning rate changes during a run. OneCycle rises at first and then falls to nearly zero.",
        "Smith and Topin 2018, arXiv 1708.07120",
    ),
    "Weight decay": Term(
        "A pull of all weights towards zero in each step. It keeps a network from fitting noise.",
        "Loshchilov and Hutter 2019, arXiv 1711.05101",
    ),
    "Label smoothing": Term(
        "The label gets slightly less than probability 1, and the other expressions share the rest. It makes networks less "
        "overconfident.",
        "Szegedy et al. 2016, arXiv 1512.00567",
    ),
    "Focal loss": Term(
        "A loss that gives less weight to images the network already predicts well. It concentrates training on hard images.",
        "Lin et al. 2017, arXiv 1708.02002",
    ),
    "Distillation": Term(
        "A network learns from the probabilities of one or more trained networks, its teachers, as well as from the labels. "
        "A small network can come close to a large one this way.",
        "Hinton, Vinyals and Dean 2015, arXiv 1503.02531",
    ),
    "Transfer learning": Term(
        "A run that starts from the weights of a network trained on other data. The first layers are often useful as they "
        "are.",
        "Yosinski et al. 2014, arXiv 1411.1792",
    ),
    "Augmentation": Term(
        "Random changes of the training images that keep the expression, such as mirroring or small rotations. The network "
        "sees each image in many versions.",
        "Shorten and Khoshgoftaar 2019, doi 10.1186/s40537-019-0197-0",
    ),
    "Mixup": Term(
        "Two training images and their labels are blended. It works against overfitting and overconfidence.",
        "Zhang et al. 2018, arXiv 1710.09412",
    ),
    "CutMix": Term(
        "A rectangle of one training image is pasted into another, and the labels are mixed by area.",
        "Yun et al. 2019, arXiv 1905.04899",
    ),
    "EMA": Term(
        "Exponential moving average: the network that is kept is an average of the weights over the last steps. It is "
        "usually a little more accurate than the last weights alone.",
        "Polyak and Juditsky 1992, doi 10.1137/0330046",
    ),
    "SWA": Term(
        "Stochastic weight averaging: the weights of the last part of a run are averaged equally.",
        "Izmailov et al. 2018, arXiv 1803.05407",
    ),
    "Test-time averaging": Term(
        "The network is shown several views of an image, such as its mirror image, and their logits are averaged. It costs "
        "time and usually gains a little accuracy.",
        "Krizhevsky, Sutskever and Hinton 2012",
    ),
    "Ensemble": Term(
        "Several networks whose probabilities are averaged. It is usually more accurate than its best member.",
        "Dietterich 2000, doi 10.1007/3-540-45014-9_1",
    ),
    "Sweep": Term(
        "A search over settings: many runs, called trials, each with other values. A sampler proposes the values and a pruner "
        "ends poor trials early.",
        "Akiba et al. 2019, arXiv 1907.10902",
    ),
    "Importance of a setting": Term(
        "The share of the variance of accuracy over all trials that a setting explains (PED-ANOVA).",
        "Watanabe, Bansal and Hutter 2023, arXiv 2304.10255",
    ),
    # faces
    "Face detector": Term(
        "A program that finds faces in a photo. FERscope cuts the face out before a network sees it.",
        "Zhang et al. 2016 (MTCNN), arXiv 1604.02878",
    ),
    "Energy distance": Term(
        "A distance between two sets of measurements: 0 if they have the same distribution. It shows whether new images look "
        "like the training set.",
        "Székely and Rizzo 2013, doi 10.1016/j.jspi.2013.03.018",
    ),
}


def explained(*terms: str) -> str:
    """The meanings of terms as Markdown, for the help of a heading or a figure.

    Raises:
        KeyError: the glossary has no such term.
    """
    return "\n\n".join(f"**{term}**: {GLOSSARY[term].meaning}" for term in terms)
