"""When a study is copied or evicted: pure rules, and the scan that feeds them."""
