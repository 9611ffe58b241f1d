"""Human3.6M: frames and annotations in common layouts."""
