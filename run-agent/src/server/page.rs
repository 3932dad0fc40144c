//! Pages of lists.

use super::limits;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The most items; 50 unless said, at most 500. What is no number counts as not said.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// How many items to pass over.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// How many the whole list has.
    pub(crate) total: usize,
    /// The most that this page could have.
    pub(crate) limit: usize,
    /// How many stand before it.
    pub(crate) offset: usize,
    /// Whether more stand behind it.
    pub(crate) has_more: bool,
}

impl Asked {
    fn limit(&self) -> usize {
        let limit = self.limit.as_deref().and_then(|limit| limit.parse().ok());
        limit.filter(|limit| *limit > 0).unwrap_or(limits::PAGE).min(limits::LONGEST_PAGE)
    }

    fn offset(&self) -> usize {
        self.offset.as_deref().and_then(|offset| offset.parse().ok()).unwrap_or(0)
    }

    /// The wanted part of a list.
    pub(crate) fn of<T>(&self, all: Vec<T>) -> Page<T> {
        let (limit, offset, total) = (self.limit(), self.offset(), all.len());
        let items: Vec<T> = all.into_iter().skip(offset).take(limit).collect();
        let has_more = offset.saturating_add(items.len()) < total;
        Page { items, total, limit, offset, has_more }
    }
}

impl<T> Page<T> {
    /// The page with other items in place of these.
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        let Page { items, total, limit, offset, has_more } = self;
        Page { items: items.into_iter().map(change).collect(), total, limit, offset, has_more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: &str, offset: &str) -> (Vec<u32>, usize, usize, bool) {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let asked = Asked { limit: given(limit), offset: given(offset) };
        let page = asked.of((0..7).collect());
        (page.items, page.limit, page.offset, page.has_more)
    }

    #[test]
    fn a_page_is_a_part_of_the_list() {
        assert_eq!(page("3", "2"), (vec![2, 3, 4], 3, 2, true));
        assert_eq!(page("3", "4"), (vec![4, 5, 6], 3, 4, false));
        assert_eq!(page("", ""), ((0..7).collect(), 50, 0, false));
        assert_eq!(page("9999", "x"), ((0..7).collect(), 500, 0, false));
        assert_eq!(page("-1", "9"), (vec![], 50, 9, false));
        assert_eq!(page("0", "18446744073709551615").0, Vec::<u32>::new());
    }
}
