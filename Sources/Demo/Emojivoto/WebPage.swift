// The demo's whole user interface: one page, one script, one style sheet, served from memory.

/// Texts of the web page. Every view is an address: `/` to vote, `/leaderboard` for the results.
enum WebPage {
    static let html = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Emojivoto</title>
        <link rel="icon" href="/img/favicon.ico">
        <link rel="stylesheet" href="/css">
        </head>
        <body>
        <header>
        <a class="brand" href="/">Emojivoto</a>
        <nav aria-label="Pages"><a href="/">Vote</a> <a href="/leaderboard">Leaderboard</a></nav>
        </header>
        <main id="main" aria-live="polite"><p>Loading…</p></main>
        <noscript><p>This page needs JavaScript to show the ballot.</p></noscript>
        <script src="/js" defer></script>
        </body>
        </html>

        """

    static let style = """
        :root { color-scheme: light dark; --ink: #1d2330; --paper: #f6f7fb; --card: #fff; --accent: #2453c9;
          --bad: #b3261e; --rule: #d5d9e4; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e9ecf5; --paper: #14171f; --card: #1e2330;
          --accent: #8fb1ff; --bad: #ff8a80; --rule: #343b4d; } }
        * { box-sizing: border-box; }
        body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
        header { display: flex; justify-content: space-between; align-items: baseline; padding: 1rem 1.5rem;
          border-bottom: 1px solid var(--rule); background: var(--card); }
        header a { color: var(--accent); text-decoration: none; margin-left: 1rem; }
        header .brand { margin: 0; font-weight: 700; font-size: 1.25rem; color: var(--ink); }
        main { max-width: 62rem; margin: 0 auto; padding: 1.5rem; text-align: center; }
        .ballot { display: grid; grid-template-columns: repeat(auto-fill, minmax(4rem, 1fr)); gap: .5rem;
          padding: 0; list-style: none; }
        .ballot button { width: 100%; font-size: 2rem; padding: .5rem 0; border: 1px solid var(--rule);
          border-radius: .5rem; background: var(--card); cursor: pointer; }
        .ballot button:hover, .ballot button:focus-visible { outline: 3px solid var(--accent); }
        .choice { font-size: 6rem; line-height: 1.2; margin: 1rem 0; }
        .error { color: var(--bad); }
        .actions a, .actions button { display: inline-block; margin: .5rem; padding: .6rem 1.2rem;
          font: inherit; color: var(--card); background: var(--accent); border: 0; border-radius: .5rem; cursor: pointer;
          text-decoration: none; }
        table { margin: 1rem auto; border-collapse: collapse; min-width: 20rem; background: var(--card); }
        th, td { padding: .4rem 1rem; border-bottom: 1px solid var(--rule); text-align: left; }
        td.votes, th.votes { text-align: right; font-variant-numeric: tabular-nums; }
        td.emoji { font-size: 1.75rem; }

        """

    static let script = """
        "use strict";
        const main = document.getElementById("main");

        function element(name, attributes, ...children) {
          const node = document.createElement(name);
          for (const [key, value] of Object.entries(attributes)) {
            if (key === "onclick") node.addEventListener("click", value); else node.setAttribute(key, value);
          }
          node.append(...children);
          return node;
        }

        function show(...nodes) { main.replaceChildren(...nodes); }

        function actions(...nodes) { return element("p", { class: "actions" }, ...nodes); }

        const again = () => element("button", { onclick: ballot }, "Pick another");
        const board = () => element("a", { href: "/leaderboard" }, "View the leaderboard");

        async function json(path) {
          const response = await fetch(path);
          if (!response.ok) throw new Error(`${path} answered ${response.status}`);
          return response.json();
        }

        async function ballot() {
          try {
            const list = await json("/api/list");
            const items = list.map((emoji) => element("li", {}, element("button",
              { title: emoji.shortcode, "aria-label": `Vote for ${emoji.shortcode}`,
                onclick: () => vote(emoji) },
              emoji.unicode)));
            show(element("h1", {}, "Pick your favourite emoji"),
              element("ul", { class: "ballot" }, ...items));
          } catch (error) { failed(error.message, ballot); }
        }

        async function vote(emoji) {
          const path = `/api/vote?choice=${encodeURIComponent(emoji.shortcode)}`;
          const response = await fetch(path).catch(() => null);
          if (response && response.ok) {
            show(element("h1", {}, "You voted for"), element("div", { class: "choice" }, emoji.unicode),
              element("p", {}, emoji.shortcode), actions(again(), board()));
          } else {
            const status = response ? `${response.status}` : "no answer";
            show(element("h1", { class: "error" }, "Uh-oh: your vote was lost"),
              element("div", { class: "choice" }, emoji.unicode),
              element("p", {}, `Voting for ${emoji.shortcode} failed (${status}). We look into it; `
                + "until then, there are other fine emoji."), actions(again(), board()));
          }
        }

        async function leaderboard() {
          try {
            const rows = (await json("/api/leaderboard")).map((entry, index) => element("tr", {},
              element("td", {}, `${index + 1}`), element("td", { class: "emoji" }, entry.unicode),
              element("td", {}, entry.shortcode), element("td", { class: "votes" }, entry.votes)));
            const head = element("tr", {}, element("th", { scope: "col" }, "Place"),
              element("th", { scope: "col" }, "Emoji"), element("th", { scope: "col" }, "Name"),
              element("th", { scope: "col", class: "votes" }, "Votes"));
            const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
            show(element("h1", {}, "Leaderboard"), rows.length ? table : element("p", {}, "No votes yet."),
              actions(element("a", { href: "/" }, "Vote")));
          } catch (error) { failed(error.message, leaderboard); }
        }

        function failed(message, retry) {
          show(element("h1", { class: "error" }, "Something went wrong"), element("p", {}, message),
            actions(element("button", { onclick: retry }, "Try again")));
        }

        location.pathname === "/leaderboard" ? leaderboard() : ballot();

        """

    static let icon = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" \
        fill="#f5c542"/><circle cx="11" cy="13" r="2"/><circle cx="21" cy="13" r="2"/>\
        <path d="M9 19q7 8 14 0" \
        fill="none" stroke="#000" stroke-width="2"/></svg>
        """
}
