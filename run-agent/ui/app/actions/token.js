/** Asking for the server's token, once. */

import { askWith, ApiError } from "../net/api.js";
import { setToken } from "../net/token.js";
import { askPerson } from "../parts/dialog.js";
import { h } from "../dom/h.js";

export function askForTokenWithDialog() {
  askWith(async (wrong) => {
    const values = await askPerson({
      title: "The server wants its token",
      text: [
        ...(wrong
          ? [h("p", { class: "problem", role: "alert" }, "What was given is not this server's token.")]
          : []),
        "Open the page with the link that `run-agent serve` prints, or give the token here. It is kept in memory only, until this page is closed.",
        h(
          "p",
          { class: "hint" },
          "It stands in ",
          h("code", null, ".conductor/server.token"),
          " of the root.",
        ),
      ],
      fields: [{ name: "token", label: "Token", kind: "password", required: true }],
      action: "Use it",
      async carryOut({ token = "" }) {
        if (!setToken(token)) throw new Error("A token is made of plain letters, digits and signs.");
      },
    });
    if (!values) throw new ApiError(401, "this needs the server's token", "token.missing");
  });
}
