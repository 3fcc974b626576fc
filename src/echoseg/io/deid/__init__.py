"""De-identified copies of ultrasound DICOM files: a clean header, and nothing but the ultrasound sector in the picture.

`header` holds what of a data set is kept, `pseudonyms` what replaces the rest, `pixels` what is blanked, `copying` makes the file.
"""
