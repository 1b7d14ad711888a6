//! Links the CPU's loops in [relaxed SIMD](relaxed) into this module, where the browser has that.

use js_sys::{Function, Object, Reflect, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::model::ops::relaxed;

/// Whether products are fused from now on. A browser that cannot do so says so by refusing the module.
pub async fn link() -> bool {
    // Not twice: the table would grow each time.
    if !relaxed::adopted() {
        let _ = linked().await;
    }
    relaxed::adopted()
}

async fn linked() -> Result<(), JsValue> {
    let (imports, env) = (Object::new(), Object::new());
    Reflect::set(&env, &"memory".into(), &wasm_bindgen::memory())?;
    Reflect::set(&imports, &"env".into(), &env)?;
    let made = JsFuture::from(WebAssembly::instantiate_buffer(relaxed::MODULE, &imports)).await?;
    let instance: WebAssembly::Instance = Reflect::get(&made, &"instance".into())?.unchecked_into();
    let table: WebAssembly::Table = wasm_bindgen::function_table().unchecked_into();
    let first = table.grow(relaxed::LOOPS.len() as u32)?;
    let mut places = [0; relaxed::LOOPS.len()];
    for ((name, place), at) in relaxed::LOOPS.iter().zip(&mut places).zip(first..) {
        let function: Function = Reflect::get(&instance.exports(), &(*name).into())?.unchecked_into();
        table.set(at, &function)?;
        *place = at as usize;
    }
    // SAFETY: they have just been put there, and were given this memory.
    unsafe { relaxed::adopt(places) };
    Ok(())
}
