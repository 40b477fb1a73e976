//! At which replica a task is: requests about it go there.

use crate::limits::TASK_HOMES_MAX;
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object, may_hold};
use crate::mcp::request::Asked;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

const TASK_ID: &str = "taskId";

/// The tasks of one server, the newest [`TASK_HOMES_MAX`] of them.
#[derive(Debug, Default)]
pub struct Homes(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    homes: HashMap<String, u32>,
    oldest_first: VecDeque<String>,
}

impl Homes {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the task that a call has become, if it has.
    pub fn note(&self, method: Method, result: &str, replica: u32) {
        if method != Method::ToolsCall || !may_hold(result, TASK_ID) {
            return;
        }
        let Ok(object) = Object::parse(result, Keys::Exact) else { return };
        // The old form has a member `task`, the new one says what it is.
        let id = match object.get_object("task") {
            Some(task) => task.get_text(TASK_ID).map(|id| id.into_owned()),
            None if object.get_text("resultType").as_deref() == Some("task") => {
                object.get_text(TASK_ID).map(|id| id.into_owned())
            }
            None => None,
        };
        let Some(id) = id else { return };
        let mut table = self.lock();
        if table.homes.insert(id.clone(), replica).is_none() {
            table.oldest_first.push_back(id);
        }
        if table.oldest_first.len() > TASK_HOMES_MAX
            && let Some(oldest) = table.oldest_first.pop_front()
        {
            table.homes.remove(&oldest);
        }
    }

    /// The replica that has the task a request is about.
    #[must_use]
    pub fn of(&self, asked: &Asked<'_>) -> Option<u32> {
        let params =
            asked.params.filter(|params| asked.method.starts_with("tasks/") && may_hold(params, TASK_ID))?;
        let id = Object::parse(params, Keys::Exact).ok()?.get_text(TASK_ID)?.into_owned();
        self.lock().homes.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Era;

    fn of(homes: &Homes, method: &str, id: &str) -> Option<u32> {
        let params = format!("{{\"taskId\":\"{id}\"}}");
        homes.of(&Asked {
            method,
            params: Some(&params),
            client: Era::Legacy,
            log_level: None,
            capabilities: "{}",
        })
    }

    #[test]
    fn requests_about_a_task_go_where_it_is_in_both_forms() {
        let homes = Homes::default();
        homes.note(Method::ToolsCall, r#"{"task":{"taskId":"a","status":"working"}}"#, 2);
        homes.note(Method::ToolsCall, r#"{"resultType":"task","taskId":"b"}"#, 1);
        homes.note(Method::ToolsCall, r#"{"content":[],"taskId":"c"}"#, 1);
        assert_eq!([of(&homes, "tasks/get", "a"), of(&homes, "tasks/cancel", "b")], [Some(2), Some(1)]);
        assert_eq!([of(&homes, "tasks/get", "c"), of(&homes, "tools/call", "a")], [None, None]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let homes = Homes::default();
        for number in 0..=TASK_HOMES_MAX {
            homes.note(Method::ToolsCall, &format!("{{\"task\":{{\"taskId\":\"{number}\"}}}}"), 0);
        }
        assert_eq!([of(&homes, "tasks/get", "0"), of(&homes, "tasks/get", "1")], [None, Some(0)]);
        assert_eq!(homes.lock().homes.len(), TASK_HOMES_MAX);
    }
}
