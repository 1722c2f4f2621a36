// Workspaces: the chrome's copy of them, and the panel that lists and changes them.
import { mount } from "svelte";
import type { ChromeWorkspace } from "../bindings";
import { on } from "../bridge";
import WorkspacesPanel from "./WorkspacesPanel.svelte";

/** All workspaces, as the shell sent them. The broker owns them. */
export const workspaces: { all: ChromeWorkspace[] } = { all: [] };
on("workspaces", ({ workspaces: all }) => { workspaces.all = all; });

/** Returns the name of a workspace; its identifier if it is gone. */
export const nameOf = (id: string) => workspaces.all.find((one) => one.id === id)?.name ?? id;

/** What the panel shows: the workspace in front, and the number of tabs of each. */
export interface Shown { current: string; tabs: Map<string, number> }

export const mountWorkspaces = (target: HTMLElement, props: { close: () => void }): { show: (shown: Shown) => void } =>
  mount(WorkspacesPanel, { target, props }) as { show: (shown: Shown) => void };
