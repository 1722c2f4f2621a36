// Questions about rights that pages ask for.
import { mount } from "svelte";
import PermissionBar from "./PermissionBar.svelte";

/** What the bar can be told: the tab in front, and to show a question or leave only its mark. */
export interface Bar { show: (front: number) => void; reveal: () => void; lower: () => void }

/** Shows the bar. `marked`: whether a question of the tab in front only marks itself. */
export const mountPermissions = (target: HTMLElement, props: { marked: (isMarked: boolean) => void }): Bar =>
  mount(PermissionBar, { target, props }) as Bar;
