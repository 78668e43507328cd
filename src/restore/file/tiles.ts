/** A rectangle of luma samples. */
export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What tiles of a picture must respect. */
export interface TilePlan {
  /** Size of the picture with its padding. */
  width: number;
  height: number;
  /** Tiles begin and end at multiples of this. */
  grid: number;
  /** Samples around a tile that its result depends on; infinite when all the picture matters. */
  halo: number;
}

/** No tile's side is made shorter than this: the halo around it would be most of the work. */
const LEAST_SIDE = 64;

/** The area together with its halo, as far as the picture goes: what a network has to see to restore the area. */
export function withHalo(area: Area, plan: TilePlan): Area {
  const x = Math.max(0, area.x - plan.halo);
  const y = Math.max(0, area.y - plan.halo);
  return {
    x,
    y,
    width: Math.min(plan.width, area.x + area.width + plan.halo) - x,
    height: Math.min(plan.height, area.y + area.height + plan.halo) - y,
  };
}

/** Cuts a picture into tiles none of which, with its halo, has more than `most` samples, as far as that can be. */
export function tilesOf(plan: TilePlan, most: number): Area[] {
  return fit({ x: 0, y: 0, width: plan.width, height: plan.height }, plan, most);
}

/** The halves of an area along its longer side; undefined when they would be too small, or would see no less. */
export function halves(area: Area, plan: TilePlan): [Area, Area] | undefined {
  const wide = area.width >= area.height;
  const side = wide ? area.width : area.height;
  const half = Math.ceil(side / 2 / plan.grid) * plan.grid;
  if (side - half < LEAST_SIDE) return undefined;
  const parts: [Area, Area] = wide
    ? [
        { ...area, width: half },
        { ...area, x: area.x + half, width: side - half },
      ]
    : [
        { ...area, height: half },
        { ...area, y: area.y + half, height: side - half },
      ];
  return parts.every((part) => samplesOf(part, plan) < samplesOf(area, plan)) ? parts : undefined;
}

/** Samples of luma that a network works on to restore an area. */
export function samplesOf(area: Area, plan: TilePlan): number {
  const { width, height } = withHalo(area, plan);
  return width * height;
}

function fit(area: Area, plan: TilePlan, most: number): Area[] {
  const parts = samplesOf(area, plan) > most ? halves(area, plan) : undefined;
  return parts ? parts.flatMap((part) => fit(part, plan, most)) : [area];
}
