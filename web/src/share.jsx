import { ToolbarButton, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useState } from "react";
import { link } from "./link.js";

const OFFER = "Copy a link to this operation";

/**
 * The button that makes a link to what the editors hold: it is in the address bar from then on, and copied where the
 * browser lets a page copy.
 */
export function Share() {
  const [said, say] = useState(OFFER);
  const editors = useGraphiQL(({ queryEditor, variableEditor, operationName }) => ({
    queryEditor,
    variableEditor,
    operationName,
  }));

  async function share() {
    const href = link({
      query: editors.queryEditor.getValue(),
      variables: editors.variableEditor.getValue(),
      operationName: editors.operationName,
    });
    if (!href) return say("This operation is too long for a link");
    history.replaceState(null, "", href);
    // Browsers have no clipboard on a page that came over plain HTTP from another machine.
    const isCopied = await navigator.clipboard?.writeText(href).then(
      () => true,
      () => false,
    );
    say(isCopied ? "The link is copied" : "The link is in the address bar");
  }

  return (
    <span className="share" onPointerLeave={() => say(OFFER)} onBlur={() => say(OFFER)}>
      <ToolbarButton label={said} onClick={share}>
        <svg
          className="graphiql-toolbar-icon"
          viewBox="0 0 24 24"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.75"
          aria-hidden="true"
        >
          <path d="M10 14a4 4 0 0 0 5.7 0l3.6-3.6a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3.6 3.6a4 4 0 0 0 5.7 5.7l1-1" />
        </svg>
      </ToolbarButton>
      <span role="status">{said === OFFER ? "" : said}</span>
    </span>
  );
}

/** Chooses the operation of the link that led here: its name is sent, and the cursor is where the keys run it. */
export function Chosen({ operationName }) {
  const { setOperationName } = useGraphiQLActions();
  const { queryEditor, operations } = useGraphiQL(({ queryEditor, operations }) => ({ queryEditor, operations }));
  // Before there is an editor, which would else choose the first operation, and again with every change of the text.
  useEffect(() => {
    setOperationName(operationName);
  }, []);
  useEffect(() => {
    const operation = operations?.find(({ name }) => name?.value === operationName);
    if (!queryEditor || !operation) return;
    const start = queryEditor.getModel().getPositionAt(operation.loc.start);
    queryEditor.setPosition(start);
    queryEditor.revealPosition(start);
  }, [queryEditor]);
  return null;
}
