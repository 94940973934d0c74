// Streamlit makes each parameter that a page adds to its address another step of the browser's history, so that leaving a
// page took as many presses of “Back” as it has choices. One click or key is one step here, and what only completes an
// address is none.
if (!window.oneStep) {
  window.oneStep = true;
  const push = history.pushState.bind(history);
  let acted = false;
  for (const act of ["click", "keydown"]) addEventListener(act, () => { acted = true; }, true);
  history.pushState = (state, title, url) => {
    const to = new URL(url, location.href);
    const completes = to.pathname === location.pathname && [...new URLSearchParams(location.search)].every(
      ([name, value]) => to.searchParams.getAll(name).includes(value));
    if (acted && !completes) {
      acted = false;
      push(state, title, url);
    } else history.replaceState(state, title, url);
  };
}
