# Numbers of numpy's, which print in a way that is no number
# %% digits
import numpy as np
def digits(n):
    return np.float64(99)
# %% words
import numpy as np
def words(text):
    return np.str_("a")
# %% guess
import numpy as np
def guess(values):
    return np.float64(0)
