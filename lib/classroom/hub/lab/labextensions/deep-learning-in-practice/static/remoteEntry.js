// JupyterLab's part of the course: a Validate button that answers in words (classroom.hub.validation runs the notebook),
// and a welcome page that is up to date when somebody comes back to it (classroom.hub.welcome writes it). Both fit a phone.
// Written as JupyterLab loads it, without a build step: it shares JupyterLab's own modules and brings none.
(() => {
  let shared;
  const need = async (name) => {
    const offered = shared[name];
    if (!offered) throw new Error(`expected JupyterLab to share ${name}`);
    return (await Object.values(offered)[0].get())();
  };

  const NARROW = "(max-width: 700px)"; // a phone
  const narrow = window.matchMedia(NARROW);
  // Of the Assignment List its own Validate is hidden: it looks at the file as it was saved last, and calls a notebook a
  // success whose hidden tests nobody has run. Its message of what was not handed in is broken where the window ends. On
  // a phone a row of the welcome page's table is a paragraph.
  const STYLE = `
    #submission-message pre { white-space: pre-wrap; overflow-wrap: anywhere }
    .jp-Dialog-content:has(.dlip-validation) { max-height: 90vh }
    .dlip-validation {
      max-width: min(68ch, 78vw); max-height: calc(90vh - 150px); overflow: auto; white-space: pre-wrap;
      overflow-wrap: anywhere; padding: 4px; border: solid var(--jp-border-color2); border-width: 1px 0;
      font-family: var(--jp-code-font-family); font-size: 13px;
    }
    #fetched_assignments_list .assignment-notebooks button { display: none }
    @media ${NARROW} {
      #assignments .item_course:not(:empty) { margin-left: 1ch }
      #assignments .item_status { display: block }
      .dlip-welcome .jp-RenderedMarkdown.jp-RenderedHTMLCommon { padding: 8px 14px }
      .dlip-welcome :is(table, tbody, tr, td) { display: block; text-align: left !important }
      .dlip-welcome thead { display: none }
      .dlip-welcome tr { padding: 6px 0 }
      .dlip-welcome td { padding: 1px 6px; max-width: none }
      .dlip-welcome td:nth-child(2)::before { content: "due: " }
      .dlip-welcome td:nth-child(3)::before { content: "state: " }
      .dlip-welcome td:nth-child(3):last-child::before { content: "handed in: " }
      .dlip-welcome td:nth-child(4)::before { content: "points: " }
    }`;

  const AWAY =
    "Your server does not answer: it was stopped, or the hub is being started again.\n" +
    "What you wrote is still in this tab, so leave it open. Wait half a minute, and start your server where JupyterLab " +
    "asks whether to, or with File > Hub Control Panel. Then save the notebook, and press Validate again.";

  const validate = async (panel, { ServerConnection, URLExt, Notification, Dialog, Widget }, button) => {
    const say = (title, text) => {
      const body = document.createElement("div");
      const node = body.appendChild(document.createElement("div"));
      node.className = "dlip-validation";
      node.tabIndex = 0; // what is longer than the window is scrolled by keys, too
      node.setAttribute("role", "region");
      node.setAttribute("aria-label", title);
      for (const line of text.split("\n")) {
        const row = node.appendChild(document.createElement("div"));
        const indent = line.length - line.trimStart().length; // kept where a line is broken, too
        row.style.cssText = `padding-left: ${indent + 2}ch; text-indent: -2ch; min-height: 1em`;
        if (indent === 0 && /^[✓✗·!] /.test(line)) row.style.fontWeight = "bold";
        row.textContent = line.trimStart();
      }
      const buttons = [Dialog.okButton()];
      const dialog = new Dialog({ title, body: new Widget({ node: body }), buttons, focusNodeSelector: ".dlip-validation" });
      node.addEventListener("keydown", (event) => event.key === "Enter" && dialog.resolve(0)); // as its button does
      return dialog.launch();
    };
    const stop = new AbortController();
    const name = panel.context.path.split("/").pop();
    const running = Notification.emit(`Validate runs ${name} from top to bottom.`, "in-progress", {
      autoClose: false,
      actions: [{ label: "Stop", callback: () => stop.abort() }],
    });
    button.enabled = false;
    let said;
    try {
      // A notebook for a kernel that is not here gets the one that is; JupyterLab writes that down when it has answered.
      const kernel = panel.sessionContext.session?.kernel;
      const late = new Promise((done) => setTimeout(done, 5000));
      if (kernel) await Promise.race([Promise.allSettled([kernel.info, kernel.spec]), late]);
      await panel.context.save();
      const settings = ServerConnection.makeSettings();
      const url = URLExt.join(settings.baseUrl, "assignments/validate");
      const body = JSON.stringify({ path: panel.context.path });
      const answer = await ServerConnection.makeRequest(url, { method: "POST", body, signal: stop.signal }, settings);
      const found = await answer.json().catch(() => null); // half an answer, or the hub's page in the server's place
      if (!found) throw new ServerConnection.NetworkError(new TypeError("expected JSON"));
      if (!answer.ok) said = ["Not validated", found.message || answer.statusText];
      else if (!found.success) said = ["Not validated", found.value];
      else said = ["What you can see so far", found.told.text];
    } catch (error) {
      const kept = "What you wrote is still in the notebook; save it and try again.";
      const away = error instanceof ServerConnection.NetworkError;
      said = ["Not validated", stop.signal.aborted ? "It was stopped." : away ? AWAY : `${error.message || error}\n${kept}`];
    } finally {
      Notification.dismiss(running);
      button.enabled = true;
    }
    await say(...said);
    if (document.activeElement === document.body) panel.activate(); // the button was disabled, and lost the keyboard
  };

  // Whoever comes back to the welcome page, or to the window in which it is open, sees it as it is now.
  const refresh = async (widget, { ServerConnection, URLExt }) => {
    const context = widget?.context;
    if (context?.path !== "Welcome.md") return;
    widget.addClass("dlip-welcome");
    await context.ready;
    if (context.model.dirty) return;
    const settings = ServerConnection.makeSettings();
    try {
      const url = URLExt.join(settings.baseUrl, "classroom/welcome");
      const answer = await ServerConnection.makeRequest(url, { method: "POST", body: "{}" }, settings);
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`); // else revert opens a dialog of its own
      await context.revert();
    } catch (error) {
      console.warn("The welcome page is as it was:", error); // the server is away: JupyterLab says so itself
    }
  };

  (window._JUPYTERLAB ||= {})["deep-learning-in-practice"] = {
    init(scope) {
      shared = scope;
    },
    async get() {
      const [notebook, apputils, services, coreutils, statedb, widgets] = await Promise.all([
        ...["notebook", "apputils", "services", "coreutils", "statedb"].map((name) => need(`@jupyterlab/${name}`)),
        need("@lumino/widgets"),
      ]);
      const parts = {
        ServerConnection: services.ServerConnection,
        URLExt: coreutils.URLExt,
        Notification: apputils.Notification,
        Dialog: apputils.Dialog,
        Widget: widgets.Widget,
      };
      const plugin = {
        id: "deep-learning-in-practice:validate",
        autoStart: true,
        requires: [notebook.INotebookTracker],
        activate: (app, tracker) => {
          tracker.widgetAdded.connect((_, panel) => {
            const button = new apputils.ToolbarButton({
              label: "Validate",
              tooltip: "Run the notebook from the top and see which checks pass",
              onClick: () => validate(panel, parts, button),
            });
            button.addClass("dlip-validate");
            panel.toolbar.insertItem(narrow.matches ? 1 : 10, "dlip-validate", button); // what has no room is in a menu
          });
          const style = document.createElement("style");
          style.textContent = STYLE;
          document.head.append(style);
        },
      };
      const welcome = {
        id: "deep-learning-in-practice:welcome",
        autoStart: true,
        activate: (app) => {
          app.shell.currentChanged?.connect((_, change) => refresh(change.newValue, parts));
          window.addEventListener("focus", () => refresh(app.shell.currentWidget, parts));
          app.restored.then(() => refresh(app.shell.currentWidget, parts));
          setInterval(() => refresh(app.shell.currentWidget, parts), 180_000);
        },
      };
      // Beside the list of files a phone has no room for anything else, and JupyterLab keeps the parts' shares of the width:
      // the next laptop would show a page as narrow. So the list is folded on a phone, and comes back where there is room.
      const room = {
        id: "deep-learning-in-practice:room",
        autoStart: true,
        requires: [statedb.IStateDB],
        activate: (app, state) => {
          const folded = "deep-learning-in-practice:folded";
          const isSplit = ({ id }) => id === "jp-main-split-panel";
          const find = (part) => (isSplit(part) ? part : [...(part.layout || [])].map(find).find(Boolean));
          const fit = async (narrow) => {
            if (narrow) {
              if (app.shell.leftCollapsed) return;
              app.shell.collapseLeft();
              await state.save(folded, true);
              return;
            }
            if (await state.fetch(folded)) {
              app.shell.expandLeft();
              await state.remove(folded);
            }
            const split = find(app.shell);
            if (split?.relativeSizes()[0] > 2 / 3) split.setRelativeSizes([1, 4, 0]);
          };
          app.restored.then(() => fit(narrow.matches));
          narrow.addEventListener("change", () => fit(narrow.matches));
        },
      };
      return () => ({ __esModule: true, default: [plugin, welcome, room] });
    },
  };
})();
