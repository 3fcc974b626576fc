"""echoseg: left-ventricle segmentation of every frame of an echocardiogram, learned from two labelled frames."""

__version__ = "0.1.0"
