fn project(first_row: u32, first_column: u32, thread: u32) {}
