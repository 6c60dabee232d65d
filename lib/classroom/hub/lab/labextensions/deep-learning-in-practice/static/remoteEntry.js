// JupyterLab's part of the course: a Validate button that answers in words (classroom.hub.validation runs the notebook),
// and a welcome page that is up to date when somebody comes back to it (classroom.hub.welcome writes it).
// Written as JupyterLab loads it, without a build step: it shares JupyterLab's own modules and brings none.
(() => {
  let shared;
  const need = async (name) => {
    const offered = shared[name];
    if (!offered) throw new Error(`expected JupyterLab to share ${name}`);
    return (await Object.values(offered)[0].get())();
  };

  const validate = async (panel, { ServerConnection, URLExt, Notification, showDialog, Dialog, Widget }, button) => {
    const say = (title, text) => {
      const body = document.createElement("div");
      const node = body.appendChild(document.createElement("div"));
      node.className = "dlip-validation";
      node.style.cssText = "max-width: min(68ch, 78vw); max-height: 60vh; overflow: auto; white-space: pre-wrap;";
      node.style.cssText += "overflow-wrap: anywhere; font-family: var(--jp-code-font-family); font-size: 13px";
      for (const line of text.split("\n")) {
        const row = node.appendChild(document.createElement("div"));
        const indent = line.length - line.trimStart().length; // kept where a line is broken, too
        row.style.cssText = `padding-left: ${indent + 2}ch; text-indent: -2ch; min-height: 1em`;
        if (indent === 0 && /^[✓✗·!] /.test(line)) row.style.fontWeight = "bold";
        row.textContent = line.trimStart();
      }
      return showDialog({ title, body: new Widget({ node: body }), buttons: [Dialog.okButton()] });
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
      const found = await answer.json();
      if (!answer.ok) said = ["Not validated", found.message || answer.statusText];
      else if (!found.success) said = ["Not validated", found.value];
      else said = ["What you can see so far", found.told.text];
    } catch (error) {
      const kept = "What you wrote is still in the notebook; save it and try again.";
      said = ["Not validated", stop.signal.aborted ? "It was stopped." : `${error.message || error}\n${kept}`];
    } finally {
      Notification.dismiss(running);
      button.enabled = true;
    }
    await say(...said);
  };

  // Whoever comes back to the welcome page, or to the window in which it is open, sees it as it is now.
  const refresh = async (widget, { ServerConnection, URLExt }) => {
    const context = widget?.context;
    if (context?.path !== "Welcome.md") return;
    await context.ready;
    if (context.model.dirty) return;
    const settings = ServerConnection.makeSettings();
    try {
      await ServerConnection.makeRequest(URLExt.join(settings.baseUrl, "classroom/welcome"), { method: "POST", body: "{}" }, settings);
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
      const [notebook, apputils, services, coreutils, widgets] = await Promise.all(
        ["@jupyterlab/notebook", "@jupyterlab/apputils", "@jupyterlab/services", "@jupyterlab/coreutils", "@lumino/widgets"].map(need)
      );
      const parts = {
        ServerConnection: services.ServerConnection,
        URLExt: coreutils.URLExt,
        Notification: apputils.Notification,
        showDialog: apputils.showDialog,
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
            panel.toolbar.insertItem(10, "dlip-validate", button);
          });
          // The Assignment List's own Validate looks at the file as it was saved last, and calls a notebook a success
          // whose hidden tests nobody has run.
          const style = document.createElement("style");
          style.textContent = "#fetched_assignments_list .assignment-notebooks button { display: none }";
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
      return () => ({ __esModule: true, default: [plugin, welcome] });
    },
  };
})();
