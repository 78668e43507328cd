import { existsSync } from 'node:fs';

/** SwiftShader's manifest, as Debian's Chromium brings it: Vulkan in software, and what Dawn itself is tested on. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Another driver may be named, Mesa's lavapipe say. */
export const SOFTWARE_VULKAN = process.env.VK_DRIVER_FILES ?? SWIFTSHADER;

/** Why nothing can be tested on it here. */
export const noVulkan = existsSync(SOFTWARE_VULKAN) ? false : `there is no ${SOFTWARE_VULKAN}`;
