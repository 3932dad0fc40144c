/** Asking for the server's token, once. */

import { askWith, ApiError } from "../net/api.js";
import { setToken } from "../net/token.js";
import { askPerson } from "../parts/dialog.js";
import { h } from "../dom/h.js";

export function askForTokenWithDialog() {
  askWith(async () => {
    const values = await askPerson({
      title: "The server wants its token",
      text: [
        "Open the page with the link that `run-agent serve` prints, or give the token here. It is kept in memory only, until this page is closed.",
        h("p", { class: "hint" }, "It stands in ", h("code", null, ".conductor/server.token"), " of the root."),
      ],
      fields: [{ name: "token", label: "Token", kind: "password", required: true }],
      action: "Use it",
    });
    if (!values) throw new ApiError(401, "this needs the server's token", "token.missing");
    setToken(values.token ?? "");
  });
}
