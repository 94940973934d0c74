// A file that somebody opens, drops or pastes, as an ImageBitmap; or an error whose message the page shows.

const MOST = 32e6; // pixels, as fer_core/images takes; a phone's browser gives up a little later
const BEGINNING = 256 * 1024; // bytes that hold an image's size, behind notes and a preview

/** The image of a file, turned as its camera noted, without any change of its colours. */
export async function open(file) {
  const start = new Uint8Array(await file.slice(0, BEGINNING).arrayBuffer());
  if (!start.length) throw new Error(`${file.name}: the file is empty (0 bytes). Choose another one.`);
  const size = sizeOf(start);
  if (size && size[0] * size[1] > MOST) throw tooLarge(file, ...size);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(
      isHeic(start)
        ? `${file.name}: this browser cannot open HEIC photos. Save it as JPEG, or choose it from the photo library of ` +
          "the phone, which converts it."
        : `${file.name}: this is no image that this browser can open. Save it as PNG or JPEG.`,
    );
  }
  if (bitmap.width * bitmap.height > MOST) throw tooLarge(file, bitmap.width, bitmap.height);
  return bitmap;
}

function tooLarge(file, width, height) {
  const megapixels = Math.round((width * height) / 1e6);
  return new Error(
    `${file.name}: ${width} x ${height} pixels (${megapixels} megapixels), at most ${MOST / 1e6} are taken. Scale the photo ` +
      "down first.",
  );
}

const text = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

const isHeic = (bytes) => text(bytes, 4, 8) === "ftyp" && /^(hei[cxs]|hev|mif1|msf1)/.test(text(bytes, 8, 12));

/** [width, height] as the head of a PNG, JPEG, GIF, BMP or WebP says, before anything is decoded; else null. */
export function sizeOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 30) return null;
  if (text(bytes, 1, 4) === "PNG") return [view.getUint32(16), view.getUint32(20)];
  if (text(bytes, 0, 3) === "GIF") return [view.getUint16(6, true), view.getUint16(8, true)];
  if (text(bytes, 0, 2) === "BM") return [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
  if (text(bytes, 8, 16) === "WEBPVP8X") {
    const three = (at) => 1 + bytes[at] + (bytes[at + 1] << 8) + (bytes[at + 2] << 16);
    return [three(24), three(27)];
  }
  return view.getUint16(0) === 0xffd8 ? sizeOfJpeg(view) : null;
}

function sizeOfJpeg(view) {
  let at = 2;
  while (at + 9 < view.byteLength && view.getUint8(at) === 0xff) {
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    at += 2 + view.getUint16(at + 2);
  }
  return null;
}
