// The header's own page.

import { sift } from "./sieve.js";

sift(document);
