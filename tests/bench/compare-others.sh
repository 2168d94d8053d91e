others() { :; }
