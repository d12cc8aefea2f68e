mod overlay;
mod recorded;
