// Screenshot of an area of the page.
import { mount } from "svelte";
import AreaPicker from "./AreaPicker.svelte";

export type Area = { x: number; y: number; width: number; height: number };

/** Shows the veil. `take` gets the area, or `null` for all that is visible. */
export const mountAreaPicker = (target: HTMLElement, props: { take: (area: Area | null) => void; close: () => void }): { focus: () => void } =>
  mount(AreaPicker, { target, props }) as { focus: () => void };
