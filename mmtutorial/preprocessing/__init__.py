"""From raw data to arrays: behaviour, text, images and audio (article, section 3.2.1).

The article asks to *denoise* each of the four and to *reduce its dimension*:

========= ================================================= ===================================
data      denoise                                           reduce
========= ================================================= ===================================
behaviour `behaviour.deduplicate`, `behaviour.k_core`       `reduce.reduce` of the matrix
text      `text.clean`, `text.tokenise`, `text.Vocabulary`  `reduce.tf_idf`, then `reduce.reduce`
image     `image.denoise`, `image.resize`                   `reduce.reduce` of the pixels
audio     `audio.trim`, `audio.denoise`, `audio.mfcc`       `reduce.summarise`, `reduce.reduce`
========= ================================================= ===================================

`text.sequences`, `image.encode_images` and `audio.encode_audio` turn a catalogue into what the
article's network reads; the last two run on all cores and keep their results (`file_cache`). Import
the modules by name, so that a reader of text does not wait for the audio library.
"""
