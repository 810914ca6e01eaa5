// Every scenario of the console, against the server at NATIVE_URL.
import { run_all } from "./lib.mjs";
import "./browse.mjs";
import "./hostile.mjs";
import "./versions.mjs";
import "./admin.mjs";

await run_all();
