/* What the full viewer expects of its page, and how it stays with its session: loaded first. */
'use strict';

(() => {
  const told = document.documentElement.dataset;
  const HEARTBEAT_MS = 60_000;

  window.PUBLIC_URL = told.files;
  window.browserImportFunction = address => import(address);
  // A bundled library reads it where the page has no current script, and would end the viewer.
  window.__filename = '';

  let leaving = false;

  /** Go to the login, and back here afterwards; once, however many requests were refused. */
  function logIn() {
    if (leaving) return;
    leaving = true;
    const here = location.pathname + location.search;
    location.assign(`${told.login}?next=${encodeURIComponent(here)}`);
  }

  const ours = address => new URL(address, location.href).origin === location.origin;
  const cookie = name =>
    document.cookie
      .split('; ')
      .find(one => one.startsWith(`${name}=`))
      ?.slice(name.length + 1) ?? '';

  /* The viewer asks by XMLHttpRequest alone. It sends no token of the form's kind, and stays
     silently black where the pixels of a session that has ended are refused. */
  const { open, send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    this.changesHere = ours(address) && !['GET', 'HEAD'].includes(method.toUpperCase());
    if (ours(address)) {
      this.addEventListener('load', () => this.status === 401 && logIn());
    }
    return open.call(this, method, address, ...rest);
  };
  XMLHttpRequest.prototype.send = function (body) {
    if (this.changesHere) this.setRequestHeader('X-CSRFToken', cookie('argens_csrf'));
    return send.call(this, body);
  };

  // Decoding workers ask by themselves too, and a person who only looks asks nothing.
  setInterval(async () => {
    try {
      const answer = await fetch(told.alive, { cache: 'no-store' });
      if (answer.status === 401) logIn();
    } catch {
      // The portal is away: the next picture says so.
    }
  }, HEARTBEAT_MS);

  // The viewer speaks the portal's language, not the one that it found in the browser once.
  const language = document.documentElement.lang === 'fr' ? 'fr' : 'en-US';
  localStorage.setItem('i18nextLng', language);
  document.cookie = `i18next=${language}; path=/; SameSite=Lax`;

  window.argens = { logIn, told };
})();
