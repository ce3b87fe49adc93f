import { createRoot } from "react-dom/client";
import { App } from "./app";
import { applyTheme } from "./parts/Bar";

applyTheme();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
