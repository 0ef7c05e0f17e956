// The explorer.
import { values } from "./values.js";

values();
