// Shows the document that this server serves. Calls made from the page go to this server and are real.
document.querySelector(`nav a[href="${location.pathname}"]`)?.setAttribute("aria-current", "page");
window.ui = SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.document + ".json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: false,
  defaultModelsExpandDepth: 0,
  // Nothing is sent to any other host: the badge of an online validator stays off.
  validatorUrl: null,
});
