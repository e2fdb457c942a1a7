// The two parts of the widget library look for their icon font beside the page. Say where it is.
const widgetFiles = new URL("vendor/html-manager", document.currentScript.src).href;
requirejs.config({
  paths: {
    "@jupyter-widgets/html-manager": `${widgetFiles}/html-manager`,
    "@jupyter-widgets/html-manager/dist": widgetFiles,
  },
});
