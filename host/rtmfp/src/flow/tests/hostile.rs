//! Input that no honest end would send.
